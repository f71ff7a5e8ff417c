//! Which queue answers for a model and a version.
//!
//! A queue is closed only after nobody can find it any more, so a request that finds it closed looks once more.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{invalid_input, shown, unknown_model, Cause, ServingError};

/// The versions of one model.
struct Versions<Q> {
    default: Option<String>,
    queues: Vec<(String, Arc<Q>)>,
    unready: Vec<(String, ServingError)>,
}

impl<Q> Default for Versions<Q> {
    fn default() -> Self {
        Versions { default: None, queues: Vec::new(), unready: Vec::new() }
    }
}

/// The open queues, the default versions, and why other versions are not ready.
pub struct Table<Q> {
    models: HashMap<String, Versions<Q>>,
}

impl<Q> Default for Table<Q> {
    fn default() -> Self {
        Table { models: HashMap::new() }
    }
}

impl<Q> Table<Q> {
    /// Show `queue` in the place of the one of the same model-version, which comes back to be closed.
    pub fn open(&mut self, model: &str, version: &str, queue: Arc<Q>) -> Option<Arc<Q>> {
        let queues = &mut self.of(model).queues;
        match queues.iter_mut().find(|(own, _)| own == version) {
            Some((_, place)) => Some(std::mem::replace(place, queue)),
            None => {
                queues.push((version.to_owned(), queue));
                None
            }
        }
    }

    /// Forget the queue, which comes back to be closed.
    pub fn close(&mut self, model: &str, version: &str) -> Option<Arc<Q>> {
        let queues = &mut self.of(model).queues;
        let place = queues.iter().position(|(own, _)| own == version)?;
        Some(queues.remove(place).1)
    }

    /// Which version answers a request that names none.
    pub fn set_default_version(&mut self, model: &str, version: Option<String>) {
        self.of(model).default = version;
    }

    /// Why a version that has no queue is not ready; None forgets it.
    pub fn set_unready(&mut self, model: &str, version: &str, error: Option<ServingError>) {
        let unready = &mut self.of(model).unready;
        unready.retain(|(own, _)| own != version);
        unready.extend(error.map(|error| (version.to_owned(), error)));
    }

    /// All open queues.
    pub fn queues(&self) -> Vec<Arc<Q>> {
        self.models.values().flat_map(|versions| &versions.queues).map(|(_, queue)| queue.clone()).collect()
    }

    /// The queue for a version, '' for the default one, or why there is none.
    pub fn find(&self, model: &str, version: &str) -> Result<Arc<Q>, ServingError> {
        if model.is_empty() {
            return Err(invalid_input("model: a model's name is needed, got none".to_owned(), "model"));
        }
        let versions = self.models.get(model).ok_or_else(|| unknown_model(model, ""))?;
        let chosen = if version.is_empty() { versions.default.as_deref().unwrap_or("") } else { version };
        match versions.queues.iter().find(|(own, _)| own == chosen) {
            Some((_, queue)) => Ok(queue.clone()),
            None => Err(versions.absence(model, chosen)),
        }
    }

    fn of(&mut self, model: &str) -> &mut Versions<Q> {
        self.models.entry(model.to_owned()).or_default()
    }
}

impl<Q> Versions<Q> {
    fn absence(&self, model: &str, chosen: &str) -> ServingError {
        if let Some((_, error)) = self.unready.iter().find(|(own, _)| own == chosen) {
            return error.clone();
        }
        match self.unready.last() {
            None if self.queues.is_empty() => unknown_model(model, ""),
            _ if !chosen.is_empty() => unknown_model(model, chosen),
            Some((_, error)) if self.queues.is_empty() => error.clone(),
            _ => {
                let text = format!("model '{}' has no default version: name one", shown(model));
                ServingError::new(Cause::NotFound, "UNKNOWN_VERSION", text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(table: &Table<()>, model: &str, version: &str) -> String {
        table.find(model, version).unwrap_err().reason.into_owned()
    }

    #[test]
    fn a_request_finds_the_version_it_names_or_the_default_one() {
        let mut table = Table::default();
        table.open("m", "1", Arc::new(1));
        table.open("m", "2", Arc::new(2));
        assert_eq!(table.find("m", "").unwrap_err().message, "model 'm' has no default version: name one");
        table.set_default_version("m", Some("2".to_owned()));
        assert_eq!((*table.find("m", "").unwrap(), *table.find("m", "1").unwrap()), (2, 1));
    }

    #[test]
    fn what_is_not_there_is_not_found_and_what_is_not_ready_says_why() {
        let mut table = Table::default();
        assert_eq!(reason(&table, "m", ""), "UNKNOWN_MODEL");
        table.set_unready("m", "1", Some(ServingError::new(Cause::Unavailable, "LOADING", String::new())));
        assert_eq!((reason(&table, "m", ""), reason(&table, "m", "1")), ("LOADING".into(), "LOADING".into()));
        assert_eq!(reason(&table, "m", "2"), "UNKNOWN_VERSION");
        table.set_unready("m", "1", None);
        assert_eq!(reason(&table, "m", "1"), "UNKNOWN_MODEL");
    }

    #[test]
    fn a_queue_that_is_replaced_comes_back() {
        let mut table = Table::default();
        assert!(table.open("m", "1", Arc::new(1)).is_none());
        assert_eq!(table.open("m", "1", Arc::new(2)), Some(Arc::new(1)));
        assert_eq!(table.close("m", "1"), Some(Arc::new(2)));
        assert_eq!(table.close("m", "1"), None);
    }
}
