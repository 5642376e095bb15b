"""Items of characteristics: values, references, circles, and how they join what is stored."""
