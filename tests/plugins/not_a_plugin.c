/* A good shared library that has nothing to do with Larder. */
int answer(void);

int answer(void) { return 42; }
