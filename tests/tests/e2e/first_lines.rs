//! The first lines that a person types, and the tables that come with the product.

use std::path::Path;

use serde_json::{Value, json};
use tests::{Server, artifacts};

#[test]
fn the_best_returns_among_the_quick_adopters_come_in_order() {
    let server = Server::bundled();
    let rows = server.rows("sector_analysis", "adoption_rate=gte.70&order=avg_roi.desc&limit=3");
    assert_eq!(
        Value::Array(rows),
        json!([
            {"sector": "Technology", "adoption_rate": 92, "genai_adoption": 88, "avg_roi": 4.2},
            {"sector": "Financial Services", "adoption_rate": 85, "genai_adoption": 78, "avg_roi": 3.8},
            {"sector": "Manufacturing", "adoption_rate": 75, "genai_adoption": 58, "avg_roi": 3.5},
        ])
    );

    let path = "/api/v1/datasets/historical_ai_data/rows?year=gte.2020&year=lte.2025";
    let csv = server.get_with(path, &[("accept", "text/csv")]).expect(200);
    assert!(csv.header("content-type").starts_with("text/csv"), "{}", csv.header("content-type"));
    let expected = "year,ai_use,genai_use\n2020,56,0\n2021,55,0\n2022,50,33\n2023,55,33\n2024,78,71\n2025,78,71\n";
    assert_eq!(csv.text(), expected);

    let output = server.cli(&["query", "investment_trends", "select=year,total_investment&year=gt.2020"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for fact in ["year", "total_investment", "2021", "112.3", "2022", "148.5", "2023", "174.6", "2024", "252.3"] {
        assert!(text.contains(fact), "{fact} is missing in:\n{text}");
    }
    assert!(!text.contains("2014") && !text.contains("us_investment"), "{text}");
}

#[test]
fn a_data_folder_that_is_not_there_is_told() {
    let server = Server::options().plugin("files").data(Path::new("/no/such/folder")).start();
    assert!(server.log().contains("there is no folder '/no/such/folder' (setting data)"), "{}", server.log());
    assert!(server.datasets().is_empty());
}

#[test]
fn every_table_of_the_data_folder_is_a_dataset_with_its_rows_and_types() {
    let server = Server::bundled();
    let names = server.datasets();
    let mut files = 0;
    for entry in std::fs::read_dir(artifacts::root().join("data")).expect("the data folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        files += 1;
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(names.contains(&name), "{name} is not among {names:?}");
        let text = std::fs::read_to_string(&path).expect("a file");
        let header: Vec<&str> = text.lines().next().expect("a header").split(',').collect();
        let rows = server.rows(&name, "");
        assert_eq!(rows.len(), text.lines().count() - 1, "{name}");
        let keys: Vec<&String> = rows[0].as_object().expect("an object").keys().collect();
        assert_eq!(keys, header, "{name}");

        let about = server.get(&format!("/api/v1/datasets/{name}")).expect(200).json();
        assert_eq!(about["name"], json!(name));
        assert_eq!(about["rows"], json!(rows.len()), "{about:#}");
        assert_eq!(about["source"]["name"], json!("files"), "{about:#}");
        let fields = about["schema"]["fields"].as_array().expect("fields");
        assert_eq!(fields.iter().map(|field| field["name"].as_str().expect("a name")).collect::<Vec<_>>(), header);
        assert!(about["age_seconds"].as_f64().is_some_and(|age| (0.0..300.0).contains(&age)), "{about:#}");
        assert!(about["policy"]["ttl_seconds"].is_number() && about["loaded_at"].is_string(), "{about:#}");
    }
    assert_eq!(files, 11);
}

#[test]
fn the_listing_links_to_what_it_lists() {
    let server = Server::bundled();
    let listing = server.get("/api/v1/datasets").expect(200).json();
    assert!(listing["generation"].is_u64(), "{listing:#}");
    for dataset in listing["datasets"].as_array().expect("datasets") {
        let about = server.get(dataset["links"]["self"].as_str().expect("a link")).expect(200).json();
        assert_eq!(about["name"], dataset["name"]);
        assert_eq!(about["schema"]["fields"].as_array().expect("fields").len() as u64, dataset["columns"]);
        server.get(&format!("{}?limit=1", dataset["links"]["rows"].as_str().expect("a link"))).expect(200);
    }
    let names = server.datasets();
    assert!(names.is_sorted(), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("synthetic")), "{names:?}");
}
