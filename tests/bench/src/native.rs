//! libp2p between two programs, TCP or QUIC, with the options that miner and terminal client have: a listener in a process of its own, so
//! that the processor time of each end can be told.

use crate::Failure;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::{noise, tcp, yamux, Multiaddr, Stream, StreamProtocol, Swarm, SwarmBuilder};
use libp2p_stream::Behaviour;
use serde_json::{json, Value};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/sealdrop/bench/1.0.0");
/// Bytes of a write: what the miner and the client send at a time.
const PART: usize = 256 * 1024;
/// One byte says which way the bytes go.
const UP: u8 = 0;
const DOWN: u8 = 1;

/// Moves `bytes` in each direction between this process and another one.
pub async fn measure(kind: &str, bytes: u64) -> Result<Value, Failure> {
    let own = std::env::current_exe()?;
    let mut listener = Command::new(own);
    let mut child = listener
        .args(["native-listener", kind])
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("the listener's output is piped")?;
    BufReader::new(output).read_line(&mut line)?;
    let measured = dial(line.trim().parse()?, bytes).await;
    child.kill()?;
    child.wait()?;
    measured
}

async fn dial(address: Multiaddr, bytes: u64) -> Result<Value, Failure> {
    let mut swarm = swarm()?;
    let mut control = swarm.behaviour().new_control();
    swarm.dial(address)?;
    let peer = loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => break peer_id,
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            _ => {}
        }
    };
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    let mut figures = serde_json::Map::new();
    for (name, way) in [("up", UP), ("down", DOWN)] {
        let stream = control
            .open_stream(peer, PROTOCOL)
            .await
            .map_err(|error| error.to_string())?;
        let (begun, processor) = (Instant::now(), processor_time());
        let theirs = exchange(stream, way, bytes).await?;
        let (wall, own) = (begun.elapsed(), processor_time().saturating_sub(processor));
        let rate = |span: Duration| bytes as f64 / span.as_secs_f64() / 1e6;
        figures.insert(format!("{name}_mb_s"), json!(rate(wall)));
        // The end that works more is the one that one core has to be enough for.
        figures.insert(format!("{name}_mb_s_core"), json!(rate(own.max(theirs))));
    }
    Ok(Value::Object(figures))
}

/// Moves the bytes; gives the processor time that the other end took for it.
async fn exchange(mut stream: Stream, way: u8, bytes: u64) -> Result<Duration, Failure> {
    stream.write_all(&[way]).await?;
    stream.write_all(&bytes.to_le_bytes()).await?;
    match way {
        UP => give(&mut stream, bytes).await?,
        _ => {
            stream.flush().await?;
            take(&mut stream, bytes).await?;
        }
    }
    let mut micros = [0; 8];
    stream.read_exact(&mut micros).await?;
    stream.close().await?;
    Ok(Duration::from_micros(u64::from_le_bytes(micros)))
}

/// The other end: says where it listens, and does what dialers ask for until it is killed.
pub async fn listen(kind: &str) -> Result<(), Failure> {
    let mut swarm = swarm()?;
    let address = match kind {
        "tcp" => "/ip4/127.0.0.1/tcp/0",
        "quic" => "/ip4/127.0.0.1/udp/0/quic-v1",
        other => return Err(format!("{other:?} is neither tcp nor quic").into()),
    };
    swarm.listen_on(address.parse()?)?;
    let mut incoming = swarm.behaviour().new_control().accept(PROTOCOL)?;
    tokio::spawn(async move {
        while let Some((_, stream)) = incoming.next().await {
            // A stream that breaks is a measurement that fails at the other end.
            let _ = answer(stream).await;
        }
    });
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            println!("{address}");
        }
    }
}

async fn answer(mut stream: Stream) -> Result<(), Failure> {
    let processor = processor_time();
    let (mut way, mut bytes) = ([0], [0; 8]);
    stream.read_exact(&mut way).await?;
    stream.read_exact(&mut bytes).await?;
    let bytes = u64::from_le_bytes(bytes);
    match way {
        [UP] => take(&mut stream, bytes).await?,
        _ => give(&mut stream, bytes).await?,
    }
    let took = processor_time().saturating_sub(processor);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    stream.write_all(&micros.to_le_bytes()).await?;
    stream.close().await?;
    Ok(())
}

async fn give(stream: &mut Stream, bytes: u64) -> std::io::Result<()> {
    let (part, mut left) = (vec![7; PART], bytes);
    while left > 0 {
        let size = left.min(PART as u64) as usize;
        stream.write_all(part.get(..size).unwrap_or_default()).await?;
        left -= size as u64;
    }
    stream.flush().await
}

async fn take(stream: &mut Stream, bytes: u64) -> std::io::Result<()> {
    let (mut part, mut left) = (vec![0; PART], bytes);
    while left > 0 {
        let size = left.min(PART as u64) as usize;
        let read = stream.read(part.get_mut(..size).unwrap_or_default()).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        left -= read as u64;
    }
    Ok(())
}

fn swarm() -> Result<Swarm<Behaviour>, Failure> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )?
        .with_quic()
        .with_behaviour(|_| Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build();
    Ok(swarm)
}

/// What this process's threads have taken of the processor.
fn processor_time() -> Duration {
    // SAFETY: all bytes zero is a valid rusage, which has only numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a rusage that getrusage may write to.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let span = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    span(usage.ru_utime) + span(usage.ru_stime)
}
