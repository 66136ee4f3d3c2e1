//! stub
use crate::IpcConfig;
use connector_core::{Link, LinkEnd};
#[derive(Debug, Clone)]
pub struct LocalName(String);
impl LocalName {
    pub fn parse(s: &str) -> Result<LocalName, LinkEnd> {
        Ok(LocalName(s.into()))
    }
    pub fn unique() -> LocalName {
        LocalName("x".into())
    }
}
impl std::fmt::Display for LocalName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
#[derive(Debug, Default)]
pub struct LocalConfig;
impl LocalConfig {
    pub fn ipc(self, _: IpcConfig) -> Self {
        self
    }
}
#[derive(Debug)]
pub struct LocalServer;
impl LocalServer {
    pub fn bind(_: &LocalName, _: LocalConfig) -> Result<LocalServer, LinkEnd> {
        Ok(LocalServer)
    }
    pub async fn accept_link(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        Err(LinkEnd::Disconnected)
    }
}
pub async fn dial(_: &LocalName, _: IpcConfig) -> Result<Box<dyn Link>, LinkEnd> {
    Err(LinkEnd::Disconnected)
}
