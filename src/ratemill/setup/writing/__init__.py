"""Set-up objects written: a document or a body meets what is stored, is checked, kept and logged."""
