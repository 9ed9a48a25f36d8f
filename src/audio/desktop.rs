//! stub
use super::capture::Capture;
use super::drive::{Ready, Run};
use super::playout::Playout;
use super::{CardError, Device};
use crate::base::event::Side;
pub(super) fn run_capture(_: &Device, _: &Run, _: &mut Capture, _: Ready) -> Result<(), CardError> {
    Err(CardError::NoBackend("cpal"))
}
pub(super) fn run_playout(_: &Device, _: &Run, _: &mut Playout, _: Ready) -> Result<(), CardError> {
    Err(CardError::NoBackend("cpal"))
}
pub(super) fn probe(_: &Device, _: Side) -> Result<String, CardError> {
    Err(CardError::NoBackend("cpal"))
}
