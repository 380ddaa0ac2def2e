"""The staff inbox: queues, a thread, the person. What is done in it goes by the services of conversations."""
