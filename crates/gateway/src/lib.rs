//! The pipeline and what surrounds it: authentication, obligations, limits, the control socket.
