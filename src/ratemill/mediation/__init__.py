"""Raw rows and a data profile become usage records, skipped, duplicates' keys and refused rows; pure."""
