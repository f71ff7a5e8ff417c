//! The inputs on disk. A file that cannot be read is the flag's fault: `Error::Usage`.

use std::fs;
use std::path::PathBuf;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::failure::Error;

pub struct Samples {
    pub folder: PathBuf,
}

impl Samples {
    pub fn seven(&self) -> Result<Vec<u8>, Error> {
        self.bytes("seven.png")
    }

    pub fn sentences(&self) -> Result<Vec<String>, Error> {
        self.lines("sentences.txt")
    }

    /// One row a line of MODEL.jsonl, column name to value.
    pub fn rows(&self, model: &str) -> Result<Vec<Struct>, Error> {
        let name = format!("{model}.jsonl");
        let row = |line: &String| serde_json::from_str(line).map(fields);
        let rows: Result<_, serde_json::Error> = self.lines(&name)?.iter().map(row).collect();
        rows.map_err(|error| Error::Usage(format!("{name}: not a JSON object a line: {error}")))
    }

    fn lines(&self, name: &str) -> Result<Vec<String>, Error> {
        Ok(String::from_utf8_lossy(&self.bytes(name)?).lines().map(str::to_owned).collect())
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(|error| Error::Usage(format!("{}: {error}", path.display())))
    }
}

fn fields(object: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct { fields: object.into_iter().map(|(name, json)| (name, value(json))).collect() }
}

/// prost has JSON for none of its types.
fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(truth),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() })
        }
        serde_json::Value::Object(object) => Kind::StructValue(fields(object)),
    };
    Value { kind: Some(kind) }
}
