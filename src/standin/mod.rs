//! A local stand-in of the realtime service, for the demo, the tests and the bench.
//!
//! Runs on a runtime of its own. Written from the wire's description alone: it never names `grok`,
//! so a wrong reading of the wire cannot hide on both sides.
