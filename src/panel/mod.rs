//! The LAN control panel: HTTP and Socket.IO on a thread and a runtime of its own.
//!
//! Nobody waits for it: it can be slow, flooded or panic and the speaker talks on. `event` is pure.

pub mod event;
