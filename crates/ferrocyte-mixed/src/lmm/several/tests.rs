//! The routes against each other.
