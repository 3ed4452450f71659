//! apigate
