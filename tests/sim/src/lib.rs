//! The simulated world around a conversation, in virtual time. Feature gear: scores, not sound.
//! Beside it a room for the front end, of sound.
//!
//! Never reads a clock or a file: a seed or a script decides everything.

pub mod background;
pub mod burst;
pub mod card;
pub mod check;
pub mod duplex;
pub mod event;
pub mod person;
pub mod room;
pub mod score;
pub mod script;
pub mod seed;
pub mod service;
pub mod stage;
pub mod world;
