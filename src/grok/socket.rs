//! DOOR tokio-tungstenite + rustls: dials, pumps messages, closes.
