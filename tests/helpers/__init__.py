"""What tests of several rooms share: made clips, fakes, servers, screens, small engines."""
