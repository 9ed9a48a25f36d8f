//! Happy Eyeballs (RFC 8305): IPv6 and IPv4 raced, so that a broken half of the network costs a
//! quarter of a second instead of the whole time-out.

use futures_util::stream::{FuturesUnordered, StreamExt};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// RFC 8305 section 8: recommended Connection Attempt Delay.
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses tried in one dial: with 250 ms between them the last one still has half the time-out.
const ATTEMPTS: usize = 16;

/// RFC 8305 section 4: families alternate, beginning with the one the resolver put first (it sorts
/// by RFC 6724); within a family the resolver's order stays.
pub(super) fn order(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let same = addresses.iter().filter(|a| a.is_ipv6() == first.is_ipv6());
    let mut other = addresses.iter().filter(|a| a.is_ipv6() != first.is_ipv6());
    let mut ordered = Vec::with_capacity(addresses.len());
    for address in same {
        ordered.push(*address);
        ordered.extend(other.next());
    }
    ordered.extend(other);
    ordered.truncate(ATTEMPTS);
    ordered
}

/// Tries the addresses in order, each 250 ms after the one before or as soon as that one failed.
/// The first to connect wins, the others are dropped.
///
/// # Errors
/// Every address with its error, in the order they failed, when none connects.
pub(super) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failed = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            let attempt = connect(address);
            running.push(async move { (address, attempt.await) });
        }
        let delay = tokio::time::sleep(ATTEMPT_DELAY);
        tokio::pin!(delay);
        let more = waiting.len() > 0;
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    Some((_, Ok(connected))) => return Ok(connected),
                    Some((address, Err(error))) => {
                        failed.push((address, error));
                        if more {
                            break;
                        }
                    }
                    None => return Err(failed),
                },
                () = &mut delay, if more => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<SocketAddr> {
        let parse = |a: &str| SocketAddr::new(a.parse().unwrap(), 1);
        text.split_whitespace().map(parse).collect()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(5), future).await.expect("the race hangs")
        })
    }

    #[test]
    fn families_alternate_beginning_with_the_first() {
        assert_eq!(order(&addresses("::1 ::2 ::3 1.1.1.1")), addresses("::1 1.1.1.1 ::2 ::3"));
        assert_eq!(
            order(&addresses("1.1.1.1 ::1 ::2 ::3 1.1.1.2")),
            addresses("1.1.1.1 ::1 1.1.1.2 ::2 ::3")
        );
        assert_eq!(order(&addresses("1.1.1.1")), addresses("1.1.1.1"));
        assert!(order(&[]).is_empty());
        let many = "::1 ".repeat(40);
        assert_eq!(order(&addresses(&many)).len(), ATTEMPTS);
    }

    #[test]
    fn a_black_hole_costs_one_delay() {
        let raced = block_on(async {
            tokio::time::timeout(
                ATTEMPT_DELAY * 2,
                race(addresses("::1 1.1.1.1"), async |address| {
                    if address.is_ipv6() {
                        std::future::pending::<()>().await;
                    }
                    Ok(address)
                }),
            )
            .await
        });
        assert!(raced.expect("IPv4 must win within two delays").unwrap().is_ipv4());
    }

    #[test]
    fn a_refusal_starts_the_next_at_once() {
        let raced = block_on(async {
            tokio::time::timeout(
                ATTEMPT_DELAY / 2,
                race(addresses("::1 1.1.1.1"), async |address| {
                    if address.is_ipv6() {
                        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
                    }
                    Ok(address)
                }),
            )
            .await
        });
        assert!(raced.expect("without waiting for the delay").unwrap().is_ipv4());
    }

    #[test]
    fn a_slow_first_one_may_still_win() {
        let won = block_on(race(addresses("::1 1.1.1.1"), async |address| {
            if address.is_ipv4() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(ATTEMPT_DELAY * 2).await;
            Ok(address)
        }));
        assert!(won.unwrap().is_ipv6());
    }

    #[test]
    fn all_failures_are_reported() {
        let failed = block_on(race(addresses("::1 1.1.1.1 ::2"), async |_| {
            Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused))
        }));
        let failed: Vec<_> = failed.unwrap_err().into_iter().map(|(address, _)| address).collect();
        assert_eq!(failed, addresses("::1 1.1.1.1 ::2"));
        assert!(block_on(race(Vec::new(), async |_| Ok(()))).unwrap_err().is_empty());
    }
}
