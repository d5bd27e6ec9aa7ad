"""What tests are made of: servers, hosts, fakes, and looks at what is stored."""
