"""Small engines of every family, made once for all tests."""
