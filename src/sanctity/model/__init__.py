"""The nouns: frozen values that every room shares. Only `errors` lies below."""
