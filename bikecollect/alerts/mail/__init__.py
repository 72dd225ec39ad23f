"""Mail: written, kept until it is sent, and sent."""
