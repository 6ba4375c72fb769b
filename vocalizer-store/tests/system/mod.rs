mod folder;
mod passwords;
