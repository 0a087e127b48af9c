"""What each stage leaves in the Prefect UI."""
