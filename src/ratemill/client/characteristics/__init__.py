"""Import the items of a characteristic: a file becomes pages of one batch."""
