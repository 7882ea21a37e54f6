"""What a stranger chooses (names, keywords, headers, addresses) stays what it is: text, wherever it goes."""
