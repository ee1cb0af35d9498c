"""What several test folders share: a change on a private overlay, and exact pictures of trees."""
