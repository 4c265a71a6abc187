use super::{scenes::*, *};
use std::time::Instant;
#[test]
fn measure() {
    let dir = tempfile::tempdir_in("/work/wt-store/target").unwrap();
    let mut scene = Scene::new();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    for n in 0..100_000 {
        scene.set(n, "21.5");
        if n % 10_000 == 9_999 {
            let batch = scene.batch(true);
            let t = Instant::now();
            store.commit(&batch).unwrap();
            eprintln!("10k new durable {:?}", t.elapsed());
        }
    }
    for round in 0..5u64 {
        for n in 0..10_000u64 {
            scene.set((n * 7919 + round * 13) % 100_000, &format!("x{round}"));
        }
        let batch = scene.batch(false);
        let t = Instant::now();
        store.commit(&batch).unwrap();
        eprintln!(
            "10k random lazy {:?} wal {}",
            t.elapsed(),
            std::fs::metadata(dir.path().join("crosshome.db-wal")).unwrap().len()
        );
    }
    for round in 0..5u64 {
        for n in 0..10_000u64 {
            scene.set(n, &format!("{round}"));
        }
        let batch = scene.batch(false);
        let t = Instant::now();
        store.commit(&batch).unwrap();
        eprintln!("10k hot lazy {:?}", t.elapsed());
    }
    for round in 0..3u64 {
        for n in 0..100u64 {
            scene.set(n, &format!("z{round}"));
        }
        let batch = scene.batch(true);
        let t = Instant::now();
        store.commit(&batch).unwrap();
        eprintln!("100 hot durable {:?}", t.elapsed());
    }
    for clean in [false, true] {
        if clean {
            store.close().unwrap();
        } else {
            drop(store);
        }
        eprintln!("size {}", std::fs::metadata(dir.path().join("crosshome.db")).unwrap().len());
        let t = Instant::now();
        store = Store::open(dir.path()).unwrap().0;
        eprintln!("open clean={clean} {:?}", t.elapsed());
        let t = Instant::now();
        let mut n = 0;
        store.entities(|_| n += 1).unwrap();
        eprintln!("entities {n} {:?}", t.elapsed());
    }
    let t = Instant::now();
    let mut st = store
        .connection
        .as_ref()
        .unwrap()
        .prepare("SELECT seq, space, entity_id, record FROM entities ORDER BY seq")
        .unwrap();
    let mut rows = st.query([]).unwrap();
    let mut s = 0;
    while let Some(r) = rows.next().unwrap() {
        s += r.get_ref(3).unwrap().as_blob().unwrap().len();
    }
    eprintln!("scan only {:?} {s}", t.elapsed());
}
