//! Bridges: what stands between a home and the things in its house.
//!
//! A bridge is a caller of [`Node`](crate::node::Node) like any other. It tells what the house's
//! devices do with [`Node::report`](crate::node::Node::report), and hears through
//! [`Node::attach`](crate::node::Node::attach) what people want of them.

pub mod simulated;
