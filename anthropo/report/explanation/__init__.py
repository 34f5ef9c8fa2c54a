"""An explained prediction for one person: as JSON, on a terminal, as a page and as a picture."""
