"""Items of characteristics: values, fields, references, circles, upserts."""
