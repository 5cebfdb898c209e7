//! Tables by rule of the RFCs.
