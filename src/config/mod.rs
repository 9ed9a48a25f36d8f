//! What the owner wrote, layered and checked, as each room's options.
//!
//! Read once at start on the main thread. Rooms never import it: they are given their options.
