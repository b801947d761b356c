//! Random questions, seeded: filters of any shape, casts, groups, distinct rows, order, limit and offset, judged by the
//! oracle.

use tests::Server;
use tests::cell::Table;
use tests::http::Answer;
use tests::question::Question;
use tests::rng::Rng;
use tests::tables::{self, Types};
use tests::{oracle, random, read};

/// Of each kind.
const QUESTIONS: u64 = 400;

#[test]
fn random_questions_to_a_table_that_is_kept_are_answered_as_the_oracle_does() {
    check("", 1_000);
}

#[test]
fn random_questions_pushed_to_the_source_are_answered_as_the_oracle_does() {
    check("[policy]\nmode = \"query\"\n", 20_000);
}

#[track_caller]
fn check(policy: &str, seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = tables::every_type(Types::Parquet);
    tables::write_parquet(&folder.path().join("types.parquet"), &batch, 16);
    let table = Table::of(&[batch]);
    let server = Server::options().plugin("files").file("files.toml", policy).data(folder.path()).start();
    let mut wrong = Vec::new();
    let (mut asked, mut refused) = (0, 0);
    for kind in [random::plain, random::distinct, random::grouped] {
        for seed in seed..seed + QUESTIONS {
            let question = kind(&table, &mut Rng::new(seed));
            let url = question.url();
            let answer = server.get(&format!("/api/v1/datasets/types/rows?format=arrow&{url}"));
            asked += 1;
            refused += usize::from(answer.status == 400);
            wrong.extend(judge(&table, &question, &answer).map(|what| format!("seed {seed}: {url}\n    {what}")));
        }
    }
    let shown = wrong[..wrong.len().min(25)].join("\n");
    assert!(wrong.is_empty(), "{} of {asked} answers are wrong:\n{shown}", wrong.len());
    assert!(refused * 5 < asked, "{refused} of {asked} questions were refused: they test nothing");
}

fn judge(table: &Table, question: &Question, answer: &Answer) -> Option<String> {
    match oracle::rows(table, question) {
        Ok(expected) if answer.status == 200 => {
            read::difference(&expected, &Table::of(&read::arrow_stream(&answer.decoded())))
        }
        Ok(_) => Some(format!("{}: {}", answer.status, answer.text())),
        // Which of two such values is met first is not said.
        Err(_) if answer.status == 400 => {
            let code = answer.json()["code"].clone();
            (code != "bad_cast" && code != "sum_overflow").then(|| answer.text())
        }
        Err(code) => Some(format!("{} instead of {code}", answer.status)),
    }
}
