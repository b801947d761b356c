//! The larder server: REST API, OpenAPI, command line.
