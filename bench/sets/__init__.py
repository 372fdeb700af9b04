"""Task sets with known answers: each file says where its tasks come from, how they are asked, graded and verified."""
