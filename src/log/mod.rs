//! The log: the only durable state. (Contract; the inside follows.)
