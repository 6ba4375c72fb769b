//! The OpenAPI document.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use vocalizer_core::api::{
    AdminJobsData, AdminSongsData, AdminUserData, AdminUsersData, AnalysisData, ApiError, AuditData, ConnectionData,
    DeliveriesData, DeliveryData, HoldData, JobData, LabelsData, LimitsData, LyricsData, MarkerData, MarkersData,
    ModelsData, NewPasswordData, NewShareData, NewTokenData, NewWebhookData, PeaksData, ProviderAddressData,
    SharedData, SharesData, SignInData, SongData, SongView, SongsData, StorageData, TokensData, TrashData, UploadData,
    UserData, WantedData, WebhookData, WebhookEvent, WebhookPayload, WebhooksData,
};
use vocalizer_core::part::Part;

use crate::fields::Input;
use crate::routes::{Access, Operation, Output, ROUTES, Route};

/// Returns the OpenAPI 3.1 document of the API, built from the routing table and the response types.
#[must_use]
pub fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let operations = paths.entry(route.path).or_default();
        operations.insert(route.method.as_str().to_lowercase(), operation(route, false));
        if matches!(route.operation, Operation::Part | Operation::GetUpload) {
            operations.insert("head".to_owned(), operation(route, true));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Vocalizer",
            "description": "Splits songs into vocals, drums, bass and other.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "webhooks": webhooks(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "session",
                    "description": "Set by registration and login; named __Host-session behind TLS."},
                "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
                "share": {"type": "http", "scheme": "bearer", "description": "The secret of a share link."},
                "worker": {"type": "http", "scheme": "bearer", "description": "A worker token."},
            },
        },
    })
}

/// Returns what webhooks are sent.
fn webhooks() -> Value {
    let request = json!({
        "summary": "An event, signed as in Standard Webhooks",
        "parameters": [
            required_header("webhook-id", "The ID of the delivery, the same in every attempt"),
            required_header("webhook-timestamp", "The time of the attempt, in seconds since 1970"),
            required_header("webhook-signature", "v1, and the base64 of the HMAC-SHA-256 of ID.TIMESTAMP.BODY"),
        ],
        "requestBody": {"required": true, "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/WebhookPayload"},
        }}},
        "responses": {"2XX": {"description": "Accepted; after anything else the delivery is repeated"}},
    });
    let events = WebhookEvent::SONG.into_iter().chain([WebhookEvent::Ping]);
    events.map(|event| (event.name().to_owned(), json!({"post": request}))).collect::<Map<_, _>>().into()
}

fn required_header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "required": true, "description": description, "schema": {"type": "string"}})
}

fn schemas() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
        generator.subschema_for::<T>();
    }
    add::<ApiError>(&mut generator);
    add::<SongView>(&mut generator);
    add::<SongData>(&mut generator);
    add::<SongsData>(&mut generator);
    add::<TrashData>(&mut generator);
    add::<UploadData>(&mut generator);
    add::<UserData>(&mut generator);
    add::<SignInData>(&mut generator);
    add::<ProviderAddressData>(&mut generator);
    add::<ConnectionData>(&mut generator);
    add::<TokensData>(&mut generator);
    add::<NewTokenData>(&mut generator);
    add::<SharesData>(&mut generator);
    add::<NewShareData>(&mut generator);
    add::<SharedData>(&mut generator);
    add::<LabelsData>(&mut generator);
    add::<MarkersData>(&mut generator);
    add::<MarkerData>(&mut generator);
    add::<WebhooksData>(&mut generator);
    add::<WebhookData>(&mut generator);
    add::<NewWebhookData>(&mut generator);
    add::<DeliveriesData>(&mut generator);
    add::<DeliveryData>(&mut generator);
    add::<WebhookPayload>(&mut generator);
    add::<WantedData>(&mut generator);
    add::<JobData>(&mut generator);
    add::<AnalysisData>(&mut generator);
    add::<LyricsData>(&mut generator);
    add::<PeaksData>(&mut generator);
    add::<LimitsData>(&mut generator);
    add::<ModelsData>(&mut generator);
    add::<AdminUsersData>(&mut generator);
    add::<AdminUserData>(&mut generator);
    add::<NewPasswordData>(&mut generator);
    add::<AdminSongsData>(&mut generator);
    add::<AdminJobsData>(&mut generator);
    add::<HoldData>(&mut generator);
    add::<StorageData>(&mut generator);
    add::<AuditData>(&mut generator);
    generator.take_definitions(true)
}

fn operation(route: &Route, head: bool) -> Value {
    let mut name = route.name.to_owned();
    if head {
        name.push_str("_head");
    }
    let mut operation = json!({
        "operationId": name,
        "summary": route.summary,
        "tags": [tag(route)],
        "parameters": parameters(route),
        "responses": responses(route, head),
    });
    if let Some(body) = request_body(route.input) {
        operation["requestBody"] = body;
    }
    operation["security"] = match route.access {
        Access::Public => json!([]),
        Access::Worker => json!([{"worker": []}]),
        Access::Session | Access::Administrator => json!([{"session": []}]),
        Access::User => json!([{"session": []}, {"token": []}]),
        Access::Anyone => json!([{}, {"session": []}, {"token": []}]),
        Access::Reader => json!([{}, {"session": []}, {"token": []}, {"share": []}]),
        Access::Share => json!([{"share": []}]),
    };
    operation
}

fn tag(route: &Route) -> &'static str {
    match (route.access, route.path.starts_with("/auth/")) {
        (Access::Public, _) => "operations",
        (Access::Worker, _) => "workers",
        (Access::User, _) => "webhooks",
        (Access::Administrator, _) => "administration",
        (_, true) => "accounts",
        (_, false) => "songs",
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in [
        "song_id",
        "user_id",
        "token_id",
        "share_id",
        "marker_id",
        "upload_id",
        "webhook_id",
        "file",
        "part",
        "hash",
        "lease",
    ] {
        if route.path.contains(&format!("{{{name}}}")) {
            let schema = match name {
                "file" => json!({"type": "string", "examples": ["vocals.mp3", "accompaniment.flac", "stems.zip"]}),
                "part" => json!({"type": "string", "examples": Part::ALL}),
                "hash" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
                _ => json!({"type": "string", "format": "uuid"}),
            };
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
    }
    parameters.extend(route.query.iter().map(
        |field| json!({"name": field.name, "in": "query", "description": field.description, "schema": field.schema()}),
    ));
    let headers: &[_] = match route.operation {
        Operation::Part | Operation::Source => &["Range", "If-Range", "If-None-Match"],
        Operation::Peaks | Operation::Cover | Operation::Lyrics => &["If-None-Match"],
        Operation::Events => &["Last-Event-ID"],
        Operation::Upload => &["Idempotency-Key"],
        Operation::CreateUpload => &["Upload-Metadata", "Idempotency-Key"],
        _ => &[],
    };
    parameters.extend(headers.iter().map(|name| json!({"name": name, "in": "header", "schema": {"type": "string"}})));
    let numbers: &[_] = match route.operation {
        Operation::CreateUpload => &["Upload-Length"],
        Operation::AppendUpload => &["Upload-Offset"],
        _ => &[],
    };
    let number = json!({"type": "integer", "minimum": 0});
    parameters
        .extend(numbers.iter().map(|name| json!({"name": name, "in": "header", "required": true, "schema": number})));
    if matches!(route.operation, Operation::CreateUpload | Operation::AppendUpload | Operation::TerminateUpload) {
        let version = json!({"const": "1.0.0"});
        parameters.push(json!({"name": "Tus-Resumable", "in": "header", "required": true, "schema": version}));
    }
    parameters
}

fn request_body(input: Input) -> Option<Value> {
    let content = match input {
        Input::Nothing => return None,
        Input::Form { required, optional } => {
            let properties: Map<_, _> =
                required.iter().chain(optional).map(|field| (field.name.to_owned(), field.schema())).collect();
            let required: Vec<_> = required.iter().map(|field| field.name).collect();
            let schema = json!({"type": "object", "required": required, "properties": properties});
            json!({
                "application/x-www-form-urlencoded": {"schema": schema},
                "application/json": {"schema": schema},
                "multipart/form-data": {"schema": schema},
            })
        }
        Input::Upload => json!({"multipart/form-data": {"schema": {
            "type": "object",
            "required": ["title", "file"],
            "properties": {
                "title": {"type": "string", "maxLength": 200},
                "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                "id": {"type": "string", "format": "uuid",
                    "description": "An ID of the client's choice: repeating the upload with the same ID makes one song"},
                "duplicates": {"enum": ["allow", "refuse"], "default": "allow",
                    "description": "With refuse, a file that the user has uploaded before gives 409 with code duplicate and song_id"},
                "model": {"type": "string", "description": "A model of GET /models; the default if omitted"},
                "stems": {"type": "string", "description": "Stems of the model, separated by commas; all if omitted"},
            },
        }}}),
        Input::Piece => {
            let schema = json!({"type": "string", "format": "binary"});
            return Some(json!({"content": {"application/offset+octet-stream": {"schema": schema}}}));
        }
        Input::Tar => json!({"application/octet-stream": {"schema": {
            "type": "string",
            "format": "binary",
            "description": "A tar archive with exactly bass.mp3, drums.mp3, other.mp3 and vocals.mp3, or the stems of the job's \
            model; or with the same stems as .flac, or as both; it may also have provenance.json, a Provenance",
        }}}),
    };
    Some(json!({"required": true, "content": content}))
}

fn responses(route: &Route, head: bool) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, description) in successes(route) {
        let mut response = json!({"description": description});
        if let (false, Some(content)) = (head || status == 204, content(route.output)) {
            response["content"] = content;
        }
        responses.insert(status.to_string(), response);
    }
    let everywhere: &[u16] = match route.access {
        Access::Public => &[400, 421, 500, 503],
        Access::Anyone | Access::Reader | Access::Share | Access::User | Access::Session | Access::Administrator => {
            &[400, 401, 403, 421, 500, 503]
        }
        Access::Worker => &[400, 401, 403, 500, 503],
    };
    for &status in everywhere.iter().chain(route.errors) {
        // 304 has no body, and `/readyz` reports its checks with 503.
        let own = matches!((status, route.operation), (304, _) | (503, Operation::Ready));
        let mut response = json!({"description": describe(status)});
        if own && status == 503 {
            response["content"] = json!({"application/json": {"schema": {"type": "object"}}});
        } else if !head && !own {
            response["content"] = json!({"application/json": {"schema": failure()}});
        }
        if matches!(status, 429 | 503) && !own {
            response["headers"] = json!({"Retry-After": {"schema": {"type": "integer", "minimum": 1}}});
        }
        responses.insert(status.to_string(), response);
    }
    responses
}

fn successes(route: &Route) -> Vec<(u16, &'static str)> {
    match route.operation {
        Operation::Part | Operation::Source => {
            vec![(200, "The whole file"), (206, "The requested byte range")]
        }
        Operation::Ready => vec![(200, "Ready")],
        Operation::CreateUpload => vec![(201, "Created: Location has its address")],
        Operation::AppendUpload => {
            vec![(200, "Stored, for a client that accepts application/json"), (204, "Stored")]
        }
        Operation::UploadOptions | Operation::TerminateUpload => vec![(204, "Success")],
        Operation::BeginSignIn | Operation::FinishSignIn => vec![(303, "Location has the address to go on to")],
        _ => vec![(200, "Success")],
    }
}

fn content(output: Output) -> Option<Value> {
    let binary = json!({"schema": {"type": "string", "contentMediaType": "application/octet-stream"}});
    Some(match output {
        Output::Data(name) => {
            let data = json!({"$ref": format!("#/components/schemas/{name}")});
            json!({"application/json": {"schema": envelope(&json!({"const": true}), &data)}})
        }
        Output::Nothing => {
            json!({"application/json": {"schema": envelope(&json!({"const": true}), &json!({"type": "null"}))}})
        }
        Output::Empty | Output::Redirect => return None,
        Output::Bytes => json!({"application/octet-stream": binary}),
        Output::Audio => {
            let types =
                ["mpeg", "flac", "wav", "aiff", "ogg", "mp4", "webm", "aac"].map(|kind| format!("audio/{kind}"));
            let archives = ["application/zip", "application/x-tar"].map(str::to_owned);
            types.into_iter().chain(archives).map(|kind| (kind, binary.clone())).collect::<Map<_, _>>().into()
        }
        Output::Picture => json!({"image/jpeg": binary}),
        Output::Events => json!({"text/event-stream": {"schema": {"type": "string",
            "description": "Events: `song` with a SongView, and `deleted`, in a list with the `id`"}}}),
        Output::Text => json!({
            "text/plain": {"schema": {"type": "string"}},
            "application/openmetrics-text": {"schema": {"type": "string"}},
        }),
        Output::Json => json!({"application/json": {"schema": {"type": "object"}}}),
    })
}

fn envelope(ok: &Value, data: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["ok", "errors", "data"],
        "properties": {
            "ok": ok,
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/ApiError"}},
            "data": data,
        },
    })
}

fn failure() -> Value {
    envelope(&json!({"const": false}), &json!({"type": "null"}))
}

fn describe(status: u16) -> &'static str {
    match status {
        304 => "Not modified",
        400 => "Malformed request",
        401 => "Session or token missing or invalid",
        403 => {
            "Forbidden: cross-site request, quota exceeded, registration closed or by invite only, way to sign in not open, or not an administrator"
        }
        404 => "Not found, or not visible to the caller",
        408 => "Request timeout: the body arrived too slowly",
        409 => "Conflict with the current state, or not ready yet: then with Retry-After",
        410 => "The song was deleted or cancelled",
        412 => "Another version of the tus protocol",
        413 => "Request larger than allowed",
        415 => "Unsupported content type",
        416 => "The range starts after the end of the file",
        421 => "Host name not allowed",
        422 => "Invalid value",
        429 => "Too many attempts or uploads; retry after Retry-After",
        503 => "Dependency unavailable or server busy; retry",
        507 => "Server storage full",
        _ => "Internal server error",
    }
}
