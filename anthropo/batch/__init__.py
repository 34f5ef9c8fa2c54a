"""Many photographs: which ones, one record each, and tables that survive an interruption."""
