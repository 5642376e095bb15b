"""The one declaration of every setup object, apply, difference, export, price book."""
