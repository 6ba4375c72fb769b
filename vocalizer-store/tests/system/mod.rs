mod passwords;
