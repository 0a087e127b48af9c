"""Names of options of file systems that are known to hold no secret; all others are taken to."""

NUMBERS = frozenset(
    {
        "allow_redirects",
        "anon",
        "asynchronous",
        "auto_mkdir",
        "block_size",
        "cache_regions",
        "check_files",
        "connect_timeout",
        "default_block_size",
        "default_fill_cache",
        "encoded",
        "expiry_time",
        "fixed_upload_size",
        "listings_expiry_time",
        "max_attempts",
        "max_blocks",
        "max_concurrency",
        "max_paths",
        "max_pool_connections",
        "parameter_validation",
        "port",
        "read_timeout",
        "requester_pays",
        "requests_timeout",
        "retries",
        "same_names",
        "simple_links",
        "skip_instance_cache",
        "tcp_keepalive",
        "timeout",
        "total_max_attempts",
        "trust_env",
        "use_accelerate_endpoint",
        "use_dualstack_endpoint",
        "use_instance_cache",
        "use_listings_cache",
        "use_ssl",
        "verify",
        "version_aware",
    }
)
"""Options that are numbers or truth values; a text under such a name is masked all the same."""

WORDS = frozenset(
    {
        "account_name",
        "addressing_style",
        "cache_storage",
        "cache_type",
        "compression",
        "consistency",
        "container_name",
        "default_cache_type",
        "default_location",
        "encoding",
        "endpoint_url",
        "host",
        "location",
        "mode",
        "project",
        "protocol",
        "region",
        "region_name",
        "remote_protocol",
        "request_checksum_calculation",
        "response_checksum_validation",
        "service_name",
        "signature_version",
        "target_protocol",
    }
)
"""Options that are a word, a name or an address; an address is shown as any other URL is."""

SECTIONS = frozenset(
    {
        "client_kwargs",
        "config_kwargs",
        "remote_options",
        "retries",
        "s3",
        "session_kwargs",
        "target_options",
    }
)
"""Options that are sections of options, each of which is looked at by its own name."""
