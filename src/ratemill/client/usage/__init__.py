"""Import usage: send a file in requests, keep a journal, watch a folder."""
