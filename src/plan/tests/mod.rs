//! Tables and properties of the whole room.
