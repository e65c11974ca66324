//! REST, WebSocket, OpenAPI and the dashboard.
