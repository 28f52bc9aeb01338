"""Portal: the pages that show several floors. No models, no verbs: it reads and calls the doors below."""
