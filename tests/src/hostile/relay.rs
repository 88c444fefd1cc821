//! Lets any program come from an address of its own: a daemon shares its room out by address, and on one machine all have the
//! same. What is sent to the relay's ports goes on to the daemon's from another loopback address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

/// Connections that a system lets wait for a relay: more than any flood makes at once.
const BACKLOG: u32 = 1024;

/// Ends with its handle, and every connection with it.
pub struct Relay {
    ports: [u16; 4],
    _runtime: Runtime,
}

impl Relay {
    /// Relays from `source`, an address of the machine itself (127.0.0.0/8), to the daemon's ports.
    pub fn from(source: Ipv4Addr, daemon: [u16; 4]) -> io::Result<Self> {
        let runtime = Runtime::new()?;
        let mut ports = [0; 4];
        for (own, target) in ports.iter_mut().zip(daemon) {
            let listener = runtime.block_on(async {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
                socket.listen(BACKLOG)
            })?;
            *own = listener.local_addr()?.port();
            runtime.spawn(serve(listener, source, target));
        }
        Ok(Self {
            ports,
            _runtime: runtime,
        })
    }

    /// In the order of the daemon's.
    pub fn ports(&self) -> [u16; 4] {
        self.ports
    }
}

async fn serve(listener: TcpListener, source: Ipv4Addr, target: u16) {
    loop {
        // Without descriptors the next connection waits.
        let Ok((mut near, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((source, 0)))?;
            let target = SocketAddrV4::new(Ipv4Addr::LOCALHOST, target);
            let mut far = socket.connect(target.into()).await?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
    }
}
