"""What `hookline demo` and `hookline dev --demo` show."""
