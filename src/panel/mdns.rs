//! DOOR to multicast DNS: says on the network where the panel is, on a machine where avahi does not.
//!
//! Never two responders for one name: each would take the other for a twin and count the name up.

#[cfg(unix)]
use super::avahi::{Answer, Question};
use super::event::{Notice, Severity};
use super::rule;
use super::server::Listener;
use crate::base::unit::Moment;
use mdns_sd::{DaemonEvent, IfKind, RRType, Receiver, ServiceDaemon, ServiceInfo};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where avahi is asked. Systemd makes it early, also where avahi itself comes later.
const AVAHI: &str = "/run/avahi-daemon/socket";
/// How often to look whether avahi has come or gone.
const LOOK: Duration = Duration::from_secs(30);
/// How often to look whether this machine has other addresses, in seconds.
const ADDRESSES_S: u32 = 15;
/// What the goodbye to the network may take.
const GOODBYE: Duration = Duration::from_millis(100);

/// Longest name of a service on the network, in bytes (RFC 6763).
const LABEL: usize = 63;

/// What is said.
#[derive(Debug)]
pub(super) struct Card {
    /// For people; empty for the host name.
    name: String,
    /// Below `.local`.
    host: String,
    /// Type, and the address it listens on.
    services: Vec<(&'static str, SocketAddr)>,
    /// Tells two speakers of one name apart.
    device: String,
    build: String,
}

impl Card {
    /// `None` where there is nothing to say: no name, or no neighbour can reach the panel.
    pub(super) fn new(
        names: &[String],
        at: &Listener,
        device: &str,
        (name, build): (&str, &str),
    ) -> Option<Self> {
        let services = [("_http._tcp", at.address()), ("_https._tcp", at.tls_address())];
        let services: Vec<_> = services
            .into_iter()
            .filter_map(|(kind, address)| Some((kind, address?)))
            .filter(|(_, address)| !address.ip().to_canonical().is_loopback())
            .collect();
        let host = names.iter().find(|name| name.ends_with(".local"))?.clone();
        let [name, device, build] = [name, device, build].map(str::to_owned);
        (!services.is_empty()).then_some(Self { name, host, services, device, build })
    }

    /// As it is put on the network.
    fn infos(&self) -> mdns_sd::Result<Vec<ServiceInfo>> {
        let name = self.instance();
        let host = format!("{}.", self.host);
        let text = [("path", "/"), ("id", &self.device), ("version", &self.build)];
        let info = |(kind, address): &(&str, SocketAddr)| {
            let own = Some(address.ip()).filter(|ip| !ip.is_unspecified());
            let kind = format!("{kind}.local.");
            let ips: &[IpAddr] = own.as_slice();
            let info = ServiceInfo::new(&kind, &name, &host, ips, address.port(), &text[..])?;
            Ok(if own.is_none() { info.enable_addr_auto() } else { info })
        };
        self.services.iter().map(info).collect()
    }

    /// As neighbours list it. The library takes a dot for the end of the name.
    fn instance(&self) -> String {
        if self.name.is_empty() {
            return format!("Grok speaker {}", self.host.trim_end_matches(".local"));
        }
        let mut name = self.name.replace(['.', '\\'], " ");
        while name.len() > LABEL {
            name.pop();
        }
        name
    }

    fn is_only_v4(&self) -> bool {
        self.services.iter().all(|(_, address)| address.is_ipv4())
    }
}

/// Says it, as long as avahi does not run.
pub(super) struct Herald {
    card: Card,
    avahi: PathBuf,
    voice: Option<Voice>,
    #[cfg(unix)]
    question: Option<Question>,
    looked: Option<Moment>,
    /// Another device has the name: said once, not for each kind of address on each interface.
    twin: bool,
    /// By which this machine goes instead.
    alias: Option<String>,
}

/// A responder, on a thread of the library's.
struct Voice {
    daemon: ServiceDaemon,
    news: Receiver<DaemonEvent>,
}

impl Herald {
    /// Says nothing before the first look.
    pub(super) fn new(card: Card) -> Self {
        Self {
            card,
            avahi: AVAHI.into(),
            voice: None,
            #[cfg(unix)]
            question: None,
            looked: None,
            twin: false,
            alias: None,
        }
    }

    /// The name under which neighbours find this machine, where it is not its own.
    pub(super) fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// Its owner has given it another name: the next look says so.
    pub(super) fn rename(&mut self, name: &str) {
        if self.card.name != name {
            name.clone_into(&mut self.card.name);
            (self.voice, self.looked) = (None, None);
        }
    }

    /// Begins or ends to say it, as avahi goes or comes. Called every few seconds. What its owner
    /// should know.
    pub(super) fn look(&mut self, now: Moment) -> Option<Notice> {
        let before = self.twin;
        if let Some(name) = self.voice.as_mut().and_then(Voice::hears_a_twin) {
            (self.twin, self.alias) = (true, self.checked(Some(name)));
        }
        #[cfg(unix)]
        if let Some(answer) = self.question.as_mut().and_then(Question::answer) {
            self.question = None;
            (self.twin, self.alias) = match answer {
                Answer::Here => (false, None),
                Answer::Elsewhere(name) => (true, self.checked(name)),
            };
        }
        if self.looked.is_none_or(|at| now.since(at) >= LOOK) {
            self.looked = Some(now);
            self.avahi_or_we();
        }
        (self.twin && !before).then(|| self.taken())
    }

    fn avahi_or_we(&mut self) {
        if self.avahi.exists() {
            self.voice = None;
            // One that does not answer is not asked again.
            #[cfg(unix)]
            if self.question.is_none() {
                self.question = Question::ask(&self.avahi, &self.card.host).ok();
            }
        } else if self.voice.is_none() {
            (self.twin, self.alias) = (false, None);
            match Voice::raise(&self.card) {
                Ok(voice) => self.voice = Some(voice),
                Err(error) => log::debug!(error:%; "the name cannot be said on the network"),
            }
        }
    }

    /// A name that a neighbour may have made up is none of ours.
    fn checked(&self, name: Option<String>) -> Option<String> {
        name.filter(|name| rule::is_counted_up(name, &self.card.host))
    }

    /// A twin that was first keeps the name: the owner must know what to type now.
    fn taken(&self) -> Notice {
        let mut message = format!("Another device on the network is called {}.", self.card.host);
        let mut place = "by its address".to_owned();
        if let Some(alias) = &self.alias {
            message.push_str(&format!(" This one is called {alias} there."));
            place = format!("at {alias} or {place}");
        }
        let notice = Notice {
            level: Severity::Warn,
            code: "name_taken".to_owned(),
            message,
            action: format!(
                "Open the panel {place}, or give this machine another host name and restart it."
            ),
        };
        log::warn!("{} {}", notice.message, notice.action);
        notice
    }
}

impl Voice {
    fn raise(card: &Card) -> mdns_sd::Result<Self> {
        let daemon = ServiceDaemon::new()?;
        let voice = Self { news: daemon.monitor()?, daemon };
        voice.daemon.set_ip_check_interval(ADDRESSES_S)?;
        voice.daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        if card.is_only_v4() {
            voice.daemon.disable_interface(IfKind::IPv6)?;
        }
        for info in card.infos()? {
            voice.daemon.register(info)?;
        }
        Ok(voice)
    }

    /// The name to which the library has gone over for this machine.
    fn hears_a_twin(&mut self) -> Option<String> {
        let mut twin = None;
        while let Ok(event) = self.news.try_recv() {
            match event {
                DaemonEvent::NameChange(change) => {
                    if matches!(change.rr_type, RRType::A | RRType::AAAA) {
                        let name = change.new_name.trim_end_matches('.');
                        twin = Some(name.to_ascii_lowercase());
                    }
                }
                DaemonEvent::Error(error) => log::debug!(error:%; "multicast DNS"),
                DaemonEvent::Announce(..)
                | DaemonEvent::IpAdd(_)
                | DaemonEvent::IpDel(_)
                | DaemonEvent::Respond(_) => {}
                _ => {}
            }
        }
        twin
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        // The library says goodbye before it answers.
        if let Ok(done) = self.daemon.shutdown() {
            let _ = done.recv_timeout(GOODBYE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["kitchen", "kitchen.local", "other.lan"].map(str::to_owned).to_vec()
    }

    fn card(services: &[(&'static str, &str)]) -> Card {
        let services = services.iter().map(|(kind, at)| (*kind, at.parse().unwrap())).collect();
        let (host, device) = ("kitchen.local".to_owned(), "0123abcd".to_owned());
        Card { name: String::new(), host, services, device, build: "1.2.3".to_owned() }
    }

    #[test]
    fn nothing_is_said_of_a_panel_that_no_neighbour_can_reach() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::adopt(socket).unwrap();
        assert!(Card::new(&names(), &listener, "0123abcd", ("", "1")).is_none());
        assert!(Card::new(&names(), &Listener::default(), "0123abcd", ("", "1")).is_none());
    }

    #[test]
    fn neighbours_are_told_name_port_and_which_speaker_it_is() {
        let infos = card(&[("_http._tcp", "0.0.0.0:8080"), ("_https._tcp", "10.0.0.7:8443")]);
        let infos = infos.infos().unwrap();
        let said: Vec<_> = infos
            .iter()
            .map(|info| (info.get_fullname(), info.get_hostname(), info.get_port()))
            .collect();
        assert_eq!(
            said,
            [
                ("Grok speaker kitchen._http._tcp.local.", "kitchen.local.", 8080),
                ("Grok speaker kitchen._https._tcp.local.", "kitchen.local.", 8443),
            ]
        );
        for info in &infos {
            let text = ["path", "id", "version"].map(|key| info.get_property_val_str(key));
            assert_eq!(text, [Some("/"), Some("0123abcd"), Some("1.2.3")]);
        }
        // One that listens everywhere follows the machine's addresses.
        assert!(infos[0].is_addr_auto() && !infos[1].is_addr_auto());
        let own: Vec<_> =
            infos[1].get_addresses_v4().into_iter().map(ToString::to_string).collect();
        assert_eq!(own, ["10.0.0.7"]);
    }

    #[test]
    fn a_name_that_was_given_is_said_instead_and_fits() {
        let mut herald = Herald::new(card(&[("_http._tcp", "0.0.0.0:80")]));
        herald.looked = Some(Moment::ZERO);
        herald.rename("");
        assert!(herald.looked.is_some(), "nothing has changed");
        for (name, said) in [
            ("Kitchen", "Kitchen"),
            ("Küche 2.0 \\_x", "Küche 2 0  _x"),
            (&"\u{1f373}".repeat(32), &"\u{1f373}".repeat(15)),
        ] {
            herald.rename(name);
            assert!(herald.looked.is_none());
            let infos = herald.card.infos().unwrap();
            assert_eq!(infos[0].get_fullname(), format!("{said}._http._tcp.local."));
        }
    }

    #[test]
    fn an_address_that_nobody_answers_is_not_said() {
        assert!(card(&[("_http._tcp", "0.0.0.0:80")]).is_only_v4());
        assert!(!card(&[("_http._tcp", "[::]:80")]).is_only_v4());
    }

    #[test]
    fn where_avahi_runs_it_is_silent() {
        let mut herald = Herald::new(card(&[("_http._tcp", "0.0.0.0:80")]));
        herald.avahi = std::env::temp_dir();
        for second in 0..100 {
            let notice = herald.look(Moment::ZERO + Duration::from_secs(second));
            assert!(herald.voice.is_none() && notice.is_none());
        }
    }

    /// F16 where avahi runs: it has given the name up and says so to nobody.
    #[cfg(unix)]
    #[test]
    fn f16_avahi_that_goes_by_another_name_is_noticed_once() {
        use crate::panel::avahi::tests::{Avahi, own};
        let mut avahi = Avahi::new();
        let mut herald = Herald::new(card(&[("_http._tcp", "0.0.0.0:80")]));
        herald.avahi = avahi.path.clone();
        let mut noticed = Vec::new();
        let answers = [
            ("192.0.2.7", "kitchen-2.local"),
            ("192.0.2.7", "kitchen-3.local"),
            ("127.0.0.1", ""),
            ("192.0.2.7", "evil.example"),
        ];
        for (minute, (address, called)) in (0..).zip(answers) {
            let now = Moment::from_millis(60_000 * minute);
            assert_eq!(herald.look(now), None);
            avahi.asked();
            avahi.says(&format!("+ 3 0 kitchen.local {address}\n"));
            let mut notice = herald.look(now + Duration::from_secs(1));
            if own().is_some() && !called.is_empty() {
                assert_eq!(notice, None, "it is not known yet what this one is called");
                avahi.asked();
                avahi.says(&format!("+ 3 0 {called}\n"));
                notice = herald.look(now + Duration::from_secs(2));
                let ours = called.starts_with("kitchen").then_some(called);
                assert_eq!(herald.alias(), ours);
            }
            if let Some(notice) = notice {
                let ours = herald.alias().unwrap_or("by its address");
                assert!(notice.message.contains("is called kitchen.local"), "{notice:?}");
                assert!(notice.action.contains(ours), "{notice:?}");
                noticed.push(minute);
            }
        }
        assert_eq!(noticed, [0, 3]);
    }

    #[expect(clippy::print_stderr, reason = "a test that did not try says so")]
    fn not_tried() {
        eprintln!("NOT TRIED: no network of its own can be had");
    }

    /// F16, on a network of its own, which wants root: this test once more, inside.
    #[test]
    fn f16_a_twin_that_was_first_is_said_once() {
        const INSIDE: &str = "MDNS_TWIN_INSIDE";
        const NAME: &str = "panel::mdns::tests::f16_a_twin_that_was_first_is_said_once";
        const SET_UP: &str = "ip link set lo up && ip link add twin0 type veth peer name twin1 \
                              && ip addr add 10.9.0.1/24 dev twin0 && ip link set twin1 up \
                              && ip link set twin0 up || exit 77; exec \"$0\" \"$@\"";
        if std::env::var_os(INSIDE).is_some() {
            return twin();
        }
        let run = std::process::Command::new("unshare")
            .args(["--net", "sh", "-c", SET_UP])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(INSIDE, "1")
            .output();
        match run.as_ref().map(|out| out.status.code()) {
            Ok(Some(code @ (0 | 101))) => {
                let said = String::from_utf8_lossy(&run.as_ref().unwrap().stdout).into_owned();
                assert!(code == 0 && said.contains("1 passed"), "{run:?}");
            }
            Ok(_) | Err(_) => not_tried(),
        }
    }

    /// The twin was there first and has another address.
    fn twin() {
        let first = Voice::raise(&card(&[("_http._tcp", "10.9.0.2:80")])).unwrap();
        let wait = |what: &mut dyn FnMut() -> bool| {
            (0..300).any(|_| {
                std::thread::park_timeout(Duration::from_millis(50));
                what()
            })
        };
        assert!(wait(&mut || matches!(first.news.try_recv(), Ok(DaemonEvent::Announce(..)))));
        let mut herald = Herald::new(card(&[("_http._tcp", "10.9.0.1:80")]));
        herald.avahi = "/nowhere".into();
        let mut look = || herald.look(Moment::ZERO);
        assert!(wait(&mut || look().is_some_and(|notice| notice.code == "name_taken")));
        assert!(!(0..20).any(|_| {
            std::thread::park_timeout(Duration::from_millis(50));
            look().is_some()
        }));
        assert_eq!(herald.alias(), Some("kitchen-2.local"));
    }
}
