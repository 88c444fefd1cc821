//! A real server of the S3 protocol, over a folder, on a port of its own; its requests are signed with a key that it checks.

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The only bucket.
const BUCKET: &str = "sealdrop";
const KEY: &str = "AKSEALDROPTEST";
const SECRET: &str = "a secret of this test";

/// See the module.
pub struct S3 {
    root: TempDir,
    address: SocketAddr,
    /// What it runs on, while it does.
    running: Option<Runtime>,
}

impl S3 {
    /// Starts one with an empty bucket.
    pub fn start() -> Self {
        let root = tempfile::tempdir().expect("there is room for a directory");
        std::fs::create_dir(root.path().join(BUCKET)).expect("the bucket can be made");
        let (address, running) = serve(root.path(), (Ipv4Addr::LOCALHOST, 0).into());
        let running = Some(running);
        Self { root, address, running }
    }

    /// The URL for `--archive-endpoint`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The place for `--archive`.
    pub fn place(&self) -> String {
        format!("s3://{BUCKET}/miner")
    }

    /// What a client's environment needs.
    pub fn keys(&self) -> [(&'static str, &'static str); 3] {
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    /// Where an object of the place lies.
    pub fn object(&self, name: &str) -> PathBuf {
        self.root.path().join(BUCKET).join("miner").join(name)
    }

    /// Answers nobody any more.
    pub fn stop(&mut self) {
        drop(self.running.take());
    }

    /// Answers again, at the same address.
    pub fn start_again(&mut self) {
        self.running = Some(serve(self.root.path(), self.address).1);
    }
}

fn serve(root: &Path, address: SocketAddr) -> (SocketAddr, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let mut service = S3ServiceBuilder::new(FileSystem::new(root).expect("a folder"));
    service.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = service.build();
    let listener = runtime.block_on(TcpListener::bind(address)).expect("the port is free");
    let address = listener.local_addr().expect("it is bound");
    runtime.spawn(async move {
        let server = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            let connection = server.serve_connection(hyper_util::rt::TokioIo::new(socket), service.clone());
            let connection = connection.into_owned();
            tokio::spawn(async move {
                // The client may leave as it likes.
                let _ = connection.await;
            });
        }
    });
    (address, runtime)
}
