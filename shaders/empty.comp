// Nothing, to time what a dispatch costs by itself.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LANES = 64u;

void main() {}
