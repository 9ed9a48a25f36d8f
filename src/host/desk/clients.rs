//! The paired clients, and new ones.

use super::Desk;
use crate::base::unit::Moment;
use crate::panel::ask::refusal;
use crate::panel::errand::{Asker, Deed, Outcome};
use crate::panel::event::Refusal;
use crate::panel::trust::{Denied, Role, Session, Unable};
use serde_json::{Value, json};
use std::time::Duration;

/// A live panel is seen once a second.
const LIVE: Duration = Duration::from_secs(3);

/// All of them, each with what may be known of it, and how long the asker counts as present.
pub(super) fn list(desk: &Desk, asker: Asker) -> Value {
    let now = (desk.clock)();
    let sessions = desk.trust.sessions();
    let clients: Vec<_> = sessions.iter().map(|session| client(session, asker, now)).collect();
    let stepped = desk.trust.stepped(&asker.session, now).map_or(0, |left| left.as_secs());
    json!({"clients": clients, "stepped_s": stepped, "secure": asker.secure})
}

fn client(session: &Session, asker: Asker, now: Moment) -> Value {
    let live = session.seen.is_some_and(|seen| now.since(seen) < LIVE);
    json!({
        "id": session.id,
        "name": session.name,
        "role": session.role,
        "paired": session.created,
        "used": session.used,
        "live": live,
        "me": session.token == asker.session,
    })
}

/// Renames, raises, lowers or turns away; answered with the list as it is then.
pub(super) fn change(desk: &Desk, asker: Asker, id: &str, deed: Deed) -> Outcome {
    match deed {
        Deed::Rename(name) => desk.trust.rename(id, &name),
        Deed::Role(role) => {
            desk.presence(asker)?;
            desk.trust.set_role(id, role)
        }
        Deed::Revoke => desk.trust.revoke(id),
    }
    .map_err(unable)?;
    Ok(list(desk, asker))
}

fn unable(why: Unable) -> Refusal {
    let code = match why {
        Unable::Unknown => "unknown_client",
        Unable::LastAdmin => "last_admin",
    };
    refusal(code, why.to_string())
}

/// Opens a pairing window and says the code. Another admin needs somebody at the device.
pub(super) fn invite(desk: &Desk, asker: Asker, role: Role) -> Outcome {
    if role == Role::Admin {
        desk.presence(asker)?;
    }
    let now = (desk.clock)();
    let code = desk.trust.invite(role, now).map_err(|wait| {
        let words = format!("too many wrong codes; try again in {} s", wait.as_secs() + 1);
        refusal("wait", words)
    })?;
    log::info!(role = role.word(); "a panel opened a pairing window");
    let seconds = code.until.since(now).as_secs();
    Ok(json!({"code": code.to_string(), "seconds": seconds, "role": role}))
}

/// Takes a fresh code from the device as proof that the asker is there.
pub(super) fn step_up(desk: &Desk, asker: Asker, code: &str) -> Outcome {
    match desk.trust.step_up(&asker.session, code, (desk.clock)()) {
        Ok(left) => Ok(json!({"stepped_s": left.as_secs()})),
        Err(denied) => {
            log::warn!("a code for more rights was refused: {denied}");
            let code = match denied {
                Denied::Closed => "closed",
                Denied::Wrong { .. } => "wrong",
                Denied::Lost => "lost",
            };
            Err(refusal(code, denied.to_string()))
        }
    }
}
